"""The merged model for Transformers.js: an ONNX graph that passed its gate, and a page that answers with it."""
