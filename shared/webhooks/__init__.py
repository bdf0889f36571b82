"""Webhooks as gateway and reaper both see them: where they may go, whose secrets sign them, how they ended."""
