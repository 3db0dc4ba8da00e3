import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { findTools, librariesOf, spawnWalled } from '../../sandbox/walls.ts'

const PERL = '/usr/bin/perl' // Debian has it everywhere, and its `syscall` needs no module

/** System calls of Linux for the code below. */
export const CALLS = process.arch === 'arm64' ? { mmap: 222, memfd: 279 } : { mmap: 9, memfd: 319 }

/** Code that makes any system call it likes, behind the walls of the operating system: where an isolate has fallen. */
export async function spawnNative(script: string) {
  const { bwrap, prlimit } = findTools()
  if (bwrap === undefined || prlimit === undefined)
    throw new Error('bwrap and prlimit are needed: bootstrap/install-debian-packages.sh')
  const folder = mkdtempSync(join(tmpdir(), 'artel-native-'))
  const file = join(folder, 'script') // perl reads /dev/null for `-e`, and there is none
  writeFileSync(file, script)
  const started = spawnWalled({ bwrap, prlimit }, [PERL, file, ...(await librariesOf(PERL))], [PERL, file])
  started.child.once('close', () => rmSync(folder, { recursive: true }))
  return started
}

/** A child that loads whatever it is told and attacks when it is given its first work. Frames as in child-main.ts. */
export const asChild = (attack: string) => `
  open(my $frames, '>&=5'); my $bytes;
  sub take { my $want = shift; $bytes = ''; while (length($bytes) < $want) { sysread(STDIN, $bytes, $want - length($bytes), length($bytes)) or exit } $bytes }
  sub frame { my (undef, $size) = unpack('VV', take(8)); take($size) }
  syswrite($frames, pack('VV', 3, 0)); frame(); syswrite($frames, pack('VV', 4, 0)); frame();
  ${attack};
  exit 1`

/** Runs machine code of this process. */
export const machineCode = (hex: string) => `
  my $code = pack('H*', '${hex.replaceAll(/\s/g, '')}'); pipe(my $r, my $w); syswrite($w, $code);
  my $at = syscall(${CALLS.mmap}, 0, 65536, 7, 0x22, -1, 0); syscall(0, fileno($r), $at, length($code));
  DynaLoader::boot_DynaLoader('DynaLoader'); DynaLoader::dl_install_xsub('main::native', $at); native();`
