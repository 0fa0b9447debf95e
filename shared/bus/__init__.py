"""The bus: topics with keys, consumers with positions; embedded in the database or Kafka."""
