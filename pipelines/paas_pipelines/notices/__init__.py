"""What the server tells people by mail, by a webhook or in a chat: kept until it has arrived."""
