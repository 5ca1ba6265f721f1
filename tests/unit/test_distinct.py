"""Each of many integers once."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from recommender.distinct import distinct


@given(st.lists(st.integers(-5, 5) | st.sampled_from([-(2**63), 2**63 - 1]), max_size=30))
def test_it_is_what_a_set_would_be(values):
    assert distinct(np.array(values, np.int64)).tolist() == sorted(set(values))
