"""What others reach over the network: the TAXII 2.1 server, a skin over the workspace.

Requests are authenticated (`access`), answered (`taxii`), and carried by uvicorn (`server`). Nothing here decides what
may leave: that is the gate's, behind `aleat.workspace.Sharing`.
"""

from aleat.web.access import WebLimits
from aleat.web.proxies import Proxies, read_proxies
from aleat.web.server import Listening, serve
from aleat.web.taxii import make_app

__all__ = ["Listening", "Proxies", "WebLimits", "make_app", "read_proxies", "serve"]
