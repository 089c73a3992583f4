import pytest

from syncgraph.config import ConfigError, parse
from syncgraph.providers.airweave import Settings, adapter

JOB = "770e8400-e29b-41d4-a716-446655440002"
SYNC = "660e8400-e29b-41d4-a716-446655440001"
SEED = {"contract": "sync-jobs", "jobs": [JOB]}
OLD = {"contract": "sync-jobs", "job_path": "airweave-0.9.17", "jobs": [f"{SYNC}/{JOB}"]}


@pytest.fixture(autouse=True)
def _key(monkeypatch):
    monkeypatch.setenv("AIRWEAVE_KEY", "k3y-k3y-k3y")


def configured(**table: object) -> Settings:
    raw = {"providers": {"acme": {"kind": "airweave", "credential": "env:AIRWEAVE_KEY", **table}}}
    its = parse(raw, {"airweave": Settings}).providers["acme"]
    assert isinstance(its, Settings)
    return its


def mistake(**table: object) -> str:
    with pytest.raises(ConfigError) as raised:
        configured(**table)
    return str(raised.value)


def test_a_key_is_all_that_todays_contract_needs():
    its = configured()

    assert (its.contract, its.base_url) == ("source-connections", "https://api.airweave.ai")
    assert adapter.dialect(its).headers == {"x-api-key": "k3y-k3y-k3y"}


def test_the_seeds_contract_sends_the_key_as_its_document_says():
    assert adapter.dialect(configured(**SEED)).headers == {"authorization": "Bearer k3y-k3y-k3y"}


def test_the_seeds_contract_can_send_the_key_as_every_real_server_wants_it():
    assert adapter.dialect(configured(**SEED, auth="x-api-key")).headers == {"x-api-key": "k3y-k3y-k3y"}


def test_a_preset_is_the_path_of_that_release_and_its_way_to_send_a_key():
    its = configured(**OLD)

    assert its.job_path == "/sync/{sync_id}/job/{job_id}"
    assert its == configured(**{**OLD, "job_path": its.job_path})
    assert "x-api-key" in adapter.dialect(its).headers


def test_a_login_that_belongs_to_several_organisations_names_one():
    headers = adapter.dialect(configured(auth="bearer", organisation=SYNC)).headers

    assert headers == {"authorization": "Bearer k3y-k3y-k3y", "x-organization-id": SYNC}


def test_the_key_is_not_in_what_is_printed():
    its = configured()

    assert "k3y" not in repr(its)
    assert "k3y" not in repr(adapter.dialect(its))


@pytest.mark.parametrize(
    ("table", "hint"),
    [
        ({"contract": "sync-jobs"}, "name 1 to 100 sync jobs"),
        ({"contract": "sync-jobs", "jobs": [JOB] * 101}, "name 1 to 100 sync jobs"),
        ({"contract": "sync-jobs", "jobs": ["nope"]}, "write each as job_id"),
        ({"contract": "sync-jobs", "jobs": [JOB.upper()]}, "write each as job_id, lower-case UUIDs"),
        ({"contract": "sync-jobs", "jobs": [f"{SYNC}/{JOB}"]}, "write each as job_id"),
        ({**OLD, "jobs": [JOB]}, "write each as sync_id/job_id"),
        ({**SEED, "job_path": "/jobs"}, "a path with {job_id}"),
        ({**SEED, "job_path": "jobs/{job_id}"}, "a path with {job_id}"),
        ({**SEED, "job_path": "/jobs/{job_id}?x={job_id}"}, "a path with {job_id}"),
        ({**SEED, "job_path": "/jobs/{job_id}/{other}"}, "a preset (airweave-0.9.17)"),
        ({"jobs": [JOB]}, 'only with contract = "sync-jobs"'),
        ({"job_path": "airweave-0.9.17"}, 'only with contract = "sync-jobs"'),
        ({"organisation": "acme"}, "organisation"),
        ({"auth": "basic"}, "auth"),
        ({"contract": "rest"}, "contract"),
        ({"collection": "x"}, "collection"),
    ],
)
def test_a_mistake_is_named_with_what_to_write(table, hint):
    assert hint in mistake(**table)
