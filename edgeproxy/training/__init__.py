"""What training a model takes beside numpy: ONNX graphs made, quantised, and put on the shelf with their card.

Needs the extra ``models`` (``pip install 'edgeproxy[models]'``). Nothing that serves imports it.
"""

import edgeproxy.inference  # noqa: F401 -- it keeps onnxruntime from telling others of its use
