"""Image -> second reading by Google Gemini."""
