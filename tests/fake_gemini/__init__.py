"""A Gemini API that does as it is told: a real HTTP server, for tests and for trying things out by hand.

    with FakeGemini() as fake:
        fake.behave(Behaviour(Kind.SERVER_ERROR), Behaviour(Kind.ANSWER))
        ...  # MEDISCAN_GEMINI_BASE_URL = fake.base_url
        assert b"Jane Doe" not in fake.received_bytes()

From the shell: `python -m tests.fake_gemini --port 0 --behaviour answer`.
"""

from tests.fake_gemini.behaviour import Behaviour, Kind
from tests.fake_gemini.fixture import FakeGemini

__all__ = ["Behaviour", "FakeGemini", "Kind"]
