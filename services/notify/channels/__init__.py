"""How alerts travel: mail texts and messages, SMTP or the captured-mail page, webhooks."""
