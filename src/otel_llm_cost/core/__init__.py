"""The nouns: Call, Usage, Cost, tags and the names they travel under. Standard library only."""
