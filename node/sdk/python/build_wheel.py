"""Makes dist/artel-VERSION-py3-none-any.whl of the package beside it; the same bytes every time. Standard library only."""

import base64
import hashlib
import pathlib
import re
import zipfile

here = pathlib.Path(__file__).parent
package = here / 'artel'
version = re.search(r"__version__ = '(.+)'", (package / '__init__.py').read_text()).group(1)
info = f'artel-{version}.dist-info'
files = {f'artel/{file.name}': file.read_bytes() for file in sorted(package.iterdir()) if file.is_file()}
files[f'{info}/METADATA'] = f"""Metadata-Version: 2.1
Name: artel
Version: {version}
Summary: Artel from Python: functions on computers that lend each other their spare time
License: MIT
Requires-Python: >=3.11
Description-Content-Type: text/markdown

{(here / 'README.md').read_text()}""".encode()
files[f'{info}/WHEEL'] = b'Wheel-Version: 1.0\nGenerator: artel\nRoot-Is-Purelib: true\nTag: py3-none-any\n'


def line(name: str, data: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b'=').decode()
    return f'{name},sha256={digest},{len(data)}\n'


record = ''.join(line(name, data) for name, data in files.items()) + f'{info}/RECORD,,\n'
files[f'{info}/RECORD'] = record.encode()

target = here / 'dist' / f'artel-{version}-py3-none-any.whl'
target.parent.mkdir(exist_ok=True)
with zipfile.ZipFile(target, 'w', zipfile.ZIP_DEFLATED) as wheel:
    for name, data in files.items():
        wheel.writestr(zipfile.ZipInfo(name, (2000, 1, 1, 0, 0, 0)), data, zipfile.ZIP_DEFLATED)
print(target)
