"""Well-formed input, and the same with a few things wrong in it."""

from collections.abc import Sequence

from hypothesis import strategies as st


@st.composite
def mutated(draw: st.DrawFn, sound: st.SearchStrategy[bytes], tokens: Sequence[bytes]) -> bytes:
    """Bytes from `sound` with up to four changes: cut, doubled, overwritten, or `tokens` put in."""
    data = draw(sound)
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.integers(0, 40)))
        data = data[:start] + draw(_replacement(data[start:end], tokens)) + data[end:]
    return data


def _replacement(piece: bytes, tokens: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    return st.one_of(
        st.just(b""),
        st.just(piece * 2),
        st.sampled_from(tokens),
        st.sampled_from(tokens).map(lambda token: piece + token),
        st.binary(min_size=len(piece), max_size=len(piece)),
    )
