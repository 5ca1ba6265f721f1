"""The decoder under atheris, which looks for inputs that reach new code: `make fuzz`, for FUZZ_SECONDS.

atheris is no part of the development environment: `pip install --group fuzz`.
"""

import sys


def main() -> None:
    """Until the time is up that the arguments, libFuzzer's, give; a record that is decoded wrongly ends it."""
    import atheris  # noqa: PLC0415 - see above

    with atheris.instrument_imports(include=["consumer.decoding", "consumer.event_columns", "contracts"]):
        from tests.unit.test_decoding import PURCHASE, assert_decoded_as_the_contract_says  # noqa: PLC0415

    def one(data: bytes) -> None:
        """A record of these bytes, and one in which they replace the end of a good one."""
        at = data[0] if data else 0
        assert_decoded_as_the_contract_says([data, PURCHASE[:at] + data[1:], PURCHASE])

    atheris.Setup(sys.argv, one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
