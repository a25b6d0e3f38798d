"""How HTTP leaves this machine: proxies and trusted certificates, as the environment names them.

Read once per channel (a requests session reads it again on every call, which costs more than the request). The names
and their order are those of requests; .netrc is never read, since credentials come from the settings alone.
"""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, urlsplit

import certifi
from urllib3.util import create_urllib3_context

from bus.errors import ConfigurationError

# requests.sessions.Session.merge_environment_settings: the first that is set wins.
_CA_NAMES: Final = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


@dataclass(frozen=True, slots=True)
class HttpEnvironment:
    """Proxies by scheme, hosts that need none, and whom to trust."""

    proxies: Mapping[str, str] = field(default_factory=dict, repr=False)  #: by "https", "http", "all"
    no_proxy: tuple[str, ...] = ()
    ca_bundle: str | None = None  #: file or folder; None is certifi's

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> HttpEnvironment:
        """Take what counts out of an environment.

        Raises:
            ConfigurationError: The named CA bundle does not exist.
        """
        proxies = {}
        for scheme in ("https", "http", "all"):
            # The lower-case name wins, as in curl and requests.
            url = environ.get(f"{scheme}_proxy") or environ.get(f"{scheme.upper()}_PROXY")
            if url:
                proxies[scheme] = url if "://" in url else f"http://{url}"
        unwanted = environ.get("no_proxy") or environ.get("NO_PROXY") or ""
        ca_bundle = None
        for name in _CA_NAMES:
            if environ.get(name):
                ca_bundle = environ[name]
                if not Path(ca_bundle).exists():
                    raise ConfigurationError(f"{name} names a file or folder that does not exist.")
                break
        return cls(proxies, tuple(entry.strip() for entry in unwanted.split(",") if entry.strip()), ca_bundle)

    def proxy_for(self, url: str) -> str | None:
        """Return the proxy that a URL is reached through."""
        target = urlsplit(url)
        proxy = self.proxies.get(target.scheme) or self.proxies.get("all")
        return None if proxy is None or self._is_direct(target) else proxy

    def _is_direct(self, target: SplitResult) -> bool:
        host = (target.hostname or "").rstrip(".")
        return any(_matches(entry.lower(), host, target) for entry in self.no_proxy)

    def trust(self, *, verify: bool = True) -> ssl.SSLContext:
        """Build a TLS context; 14 ms of CPU, so a channel keeps the one it has.

        Raises:
            ConfigurationError: The CA bundle can't be read.
        """
        context = create_urllib3_context()
        if not verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            return context
        bundle = Path(self.ca_bundle or certifi.where())
        try:
            if bundle.is_dir():
                context.load_verify_locations(capath=str(bundle))
            else:
                context.load_verify_locations(cafile=str(bundle))
        except (OSError, ssl.SSLError):
            raise ConfigurationError(f"{' or '.join(_CA_NAMES)} must name certificates in PEM format.") from None
        return context


def _matches(entry: str, host: str, target: SplitResult) -> bool:
    """Say whether an entry of NO_PROXY (a name, a suffix, either with a port, an address, a network) means a host."""
    if entry == "*":
        return True
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(entry, strict=False)
    except ValueError:
        pass  # one of the two is a name
    name, _, port = entry.partition(":")
    if port and port != str(target.port or {"http": 80, "https": 443}.get(target.scheme)):
        return False
    name = name.lstrip("*").lstrip(".")
    return bool(name) and (host == name or host.endswith(f".{name}"))
