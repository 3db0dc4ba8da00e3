#!/bin/sh
# Makes a Debian package of the packed package (npm pack), with the Node that is first on PATH inside.
# usage: build-deb.sh artel-VERSION.tgz FOLDER; prints the path of the .deb
set -eu

[ $# -eq 2 ] || { echo 'usage: build-deb.sh artel-VERSION.tgz FOLDER' >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
tarball=$1
out=$2

node -e 'process.exit(process.versions.node.split(".")[0] >= 24 ? 0 : 1)' \
  || { echo "build-deb: Node $(node --version) is too old to be put into the package; put Node 24 or newer first on PATH" >&2; exit 3; }
version=$(tar -xzOf "$tarball" package/package.json | node -p 'JSON.parse(require("fs").readFileSync(0)).version')
arch=$(dpkg --print-architecture)
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT

install -d "$root/DEBIAN" "$root/usr/lib/artel/app" "$root/usr/bin" "$root/lib/systemd/system" "$root/usr/share/doc/artel"
tar -xzf "$tarball" -C "$root/usr/lib/artel/app" --strip-components 1
# what the shrinkwrap in the package names; optional are binaries that Artel never loads
(cd "$root/usr/lib/artel/app" \
  && npm install --omit=dev --omit=optional --ignore-scripts --no-save --no-audit --no-fund --prefer-offline >&2)
install -m 755 "$(node -p process.execPath)" "$root/usr/lib/artel/node"
install -m 644 "$here/artel.service" "$root/lib/systemd/system/artel.service"
install -D -m 644 "$here/artel.env" "$root/etc/artel/artel.env"
install -m 644 "$root/usr/lib/artel/app/LICENSE" "$root/usr/share/doc/artel/copyright"

cat > "$root/usr/bin/artel" <<'END'
#!/bin/sh
exec /usr/lib/artel/node /usr/lib/artel/app/dist/node/cli/artel.js "$@"
END
chmod 755 "$root/usr/bin/artel"

echo /etc/artel/artel.env > "$root/DEBIAN/conffiles"
cat > "$root/DEBIAN/control" <<END
Package: artel
Version: $version
Architecture: $arch
Maintainer: Artel <artel@localhost>
Installed-Size: $(du -sk "$root" | cut -f1)
Depends: bubblewrap, util-linux, libc-bin, libc6, libgcc-s1, libstdc++6, passwd
Section: net
Priority: optional
Description: peer-to-peer node that lends spare computers to each other
 Jobs run behind walls, results are verified, credits are kept in a replicated ledger.
END
cat > "$root/DEBIAN/postinst" <<'END'
#!/bin/sh
set -e
if [ "$1" = configure ]; then
  getent passwd artel > /dev/null || useradd --system --user-group --home-dir /var/lib/artel --shell /usr/sbin/nologin artel
  install -d -o artel -g artel -m 700 /var/lib/artel
  if [ -d /run/systemd/system ]; then
    systemctl daemon-reload
    systemctl try-restart artel.service
  fi
fi
END
cat > "$root/DEBIAN/prerm" <<'END'
#!/bin/sh
set -e
if [ "$1" = remove ] && [ -d /run/systemd/system ]; then systemctl disable --now artel.service; fi
END
chmod 755 "$root/DEBIAN/postinst" "$root/DEBIAN/prerm"

dpkg-deb --root-owner-group -Zzstd --build "$root" "$out/artel_${version}_$arch.deb" >&2
echo "$out/artel_${version}_$arch.deb"
