.PHONY: check lint types test check-slow release
check: lint types test

lint:
	ruff check .
	ruff format --check .

types:
	pyright

test:
	pytest

check-slow:
	pytest -m "slow or browser or tutorial"

release:
	.ci/release
