from elasticsearch import Elasticsearch
from wiz_dagster.elasticsearch.client import server_version

def test_the_version_is_read_without_the_root_endpoint(elasticsearch: Elasticsearch) -> None:
    assert server_version(elasticsearch)[0] in "89"
