"""Many small cases in one test, since a test for each would spend its time in pytest; a failure names its case."""

from contextlib import contextmanager


@contextmanager
def case(*values, **named):
    """Say of whatever fails here which case it was: `with case(name, shape=shape)`."""
    try:
        yield
    except BaseException as error:  # what pytest.fail and pytest.raises raise is no Exception
        parts = [*map(str, values), *(f"{name}={value}" for name, value in named.items())]
        error.add_note(f"case: {', '.join(parts)}")
        raise
