"""Models that judge answers, through any server with OpenAI's API: requests, a cache on disk, votes and their agreement."""
