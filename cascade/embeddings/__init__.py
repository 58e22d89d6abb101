"""`/v1/embeddings` behind the edge."""
