"""The decoder under atheris, which looks for inputs that reach new code: `make fuzz`, for SECONDS.

Not a test that pytest collects: atheris is no part of the development environment (`pip install --group fuzz`).
"""

import sys

import atheris

with atheris.instrument_imports(include=["consumer.decoding", "contracts"]):
    from tests.unit.test_decoding import PURCHASE, assert_decoded_as_the_contract_says


def one(data: bytes) -> None:
    """A record of these bytes, and one in which they replace the end of a good one."""
    at = data[0] if data else 0
    assert_decoded_as_the_contract_says([data, PURCHASE[:at] + data[1:], PURCHASE])


if __name__ == "__main__":
    atheris.Setup(sys.argv, one)
    atheris.Fuzz()
