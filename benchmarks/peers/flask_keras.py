"""The seed's way of working: a Flask application that predicts while the caller waits.

`python -m benchmarks.peers.flask_keras PORT`, or `gunicorn benchmarks.peers.flask_keras:app`.
"""

from typing import Any

from flask import Flask, jsonify, request

from benchmarks.peers.reading import KerasReader, port

app = Flask(__name__)
_reader = KerasReader()


@app.get("/health")
def health() -> Any:
    """Whether the model is loaded."""
    return jsonify(status="ok")


@app.post("/predict")
def predict() -> Any:
    """The reading is the answer."""
    return jsonify(_reader.read(request.files["image"].read()))


if __name__ == "__main__":
    app.run(host="127.0.0.1", port=port())
