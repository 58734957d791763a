"""The actors and what they share: the gate, the replies, the alarm."""
