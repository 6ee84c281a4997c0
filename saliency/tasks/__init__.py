"""What is learnt: one file per task, all behind the same interface (`base.Task`)."""
