"""What an export does with a graph, step by step."""
