"""What notify does: tell about tasks, look after webhooks, settle attempts.

Load, decide, save, announce; whoever opened the transaction commits it.
"""
