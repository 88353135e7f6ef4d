"""ECS: columns, frames and documents of nodes, and what is known about ECS fields. No dataset is named here."""
