"""Ways to bring documents into Elasticsearch, side by side: `client` measures the client, `node` a real server."""
