import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

/** A packed release: a folder as npm has it, whose program does `body` when it is not asked for its version. */
export async function pack(
  folder: string,
  version: string,
  body: string,
  first = `if (process.argv[2] === '--version') { console.log('${version}'); process.exit() }`
) {
  const source = join(folder, `release-${version}`)
  const path = `${source}.tgz`
  await mkdir(source, { recursive: true })
  const about = { name: 'artel', version, type: 'module', bin: { artel: 'artel.js' } }
  await writeFile(join(source, 'package.json'), JSON.stringify(about))
  await writeFile(join(source, 'artel.js'), `${first}\n${body}\n`)
  await promisify(execFile)('tar', ['-czf', path, '-C', source, '.'])
  const bytes = await readFile(path)
  return { path, bytes, version, sha256: createHash('sha256').update(bytes).digest('hex') }
}
