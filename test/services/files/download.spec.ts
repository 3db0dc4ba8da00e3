import assert from 'node:assert/strict'
import { buffer } from 'node:stream/consumers'
import fc from 'fast-check'
import { seeded } from '../../../node/demo/seeded.ts'
import { answerBytes, isUnchanged, previewType, readRange } from '../../../services/files/download.ts'
import type { Bytes } from '../../../services/host/index.ts'
import { files } from '../../../services/index.ts'
import { startHost } from '../host/start-host.ts'

const OWNER = { caller: { is: 'owner' } } as const
const BYTES = 700_000

describe('files: download', () => {
  it('reads ranges as RFC 9110 says', () => {
    const known: [header: string | undefined, expected: [number, number] | undefined][] = [
      [undefined, undefined],
      ['bytes=0-499', [0, 500]],
      ['bytes=500-999', [500, 1000]],
      ['bytes=-500', [9500, 10_000]],
      ['bytes=9500-', [9500, 10_000]],
      ['bytes=0-0', [0, 1]],
      ['bytes=9999-99999', [9999, 10_000]],
      ['bytes=-99999', [0, 10_000]],
      // what is not understood is not heeded: several ranges, other units, nonsense
      ['bytes=0-1,3-4', undefined],
      ['items=0-1', undefined],
      ['bytes=-', undefined],
      ['bytes=2-1', undefined]
    ]
    for (const [header, expected] of known) {
      const range = readRange(header, 10_000)
      assert.deepEqual(range && [range.start, range.end], expected, header)
    }
    assert.throws(() => readRange('bytes=10000-', 10_000), { name: 'FileRangeError' })
    fc.assert(
      fc.property(fc.string({ maxLength: 30 }), fc.nat(100), (text, size) => {
        try {
          const range = readRange(`bytes=${text}`, size)
          if (range != null) assert.ok(range.start >= 0 && range.start < range.end && range.end <= size)
        } catch (error) {
          assert.equal((error as Error).name, 'FileRangeError')
        }
      })
    )
  })

  it('gives nothing of strangers to a browser that it would run', () => {
    for (const name of [
      'a.svg',
      'a.html',
      'a.xhtml',
      'a.xml',
      'a.pdf',
      'a.js',
      'a.mjs',
      'a.wasm',
      'a',
      'a.html.',
      'png'
    ])
      assert.equal(previewType(name), name === 'png' ? 'image/png' : undefined, name)
    const { headers, type } = answerBytes({
      cid: 'bafy',
      name: 'evil".html\r\nset-cookie: a=b',
      size: 1,
      chunks: seeded('x', 1),
      isPreview: true
    })
    assert.equal(type, 'application/octet-stream')
    assert.match(headers!['content-security-policy']!, /^sandbox; default-src 'none'/)
    assert.equal(headers!['x-content-type-options'], 'nosniff')
    assert.match(headers!['content-disposition']!, /^attachment; [ -~]*$/)
    for (const value of Object.values(headers!)) assert.match(value, /^[ -~]*$/)
  })

  it('knows its ETag', () => {
    assert.equal(isUnchanged('"bafy"', 'bafy'), true)
    assert.equal(isUnchanged('"other", W/"bafy"', 'bafy'), true)
    assert.equal(isUnchanged('*', 'bafy'), true)
    assert.equal(isUnchanged('"bafyx"', 'bafy'), false)
    assert.equal(isUnchanged(undefined, 'bafy'), false)
  })
})

describe('files: operations', () => {
  it('upload, download, ranges, names with versions, pages, and unpin', async () => {
    await using host = await startHost({ modules: [files] })
    const call = <T>(name: string, input: object, body?: AsyncIterable<Uint8Array>): Promise<T> =>
      host.services.call('files', name, input, { ...OWNER, body }) as Promise<T>
    const added = await call<{ cid: string; version: number }>(
      'upload',
      { name: 'a.txt' },
      seeded('1', BYTES)
    )
    assert.equal(added.version, 1)
    const all = await buffer(seeded('1', BYTES))

    const whole = await call<Bytes>('download', { file: 'a.txt', preview: true })
    assert.equal(Buffer.compare(await buffer(whole.chunks), all), 0)
    assert.deepEqual(
      [whole.size, whole.type, whole.headers!.etag],
      [BYTES, 'text/plain; charset=utf-8', `"${added.cid}"`]
    )
    const part = await call<Bytes>('download', { file: added.cid, range: 'bytes=1000-1999' })
    assert.equal(Buffer.compare(await buffer(part.chunks), all.subarray(1000, 2000)), 0)
    assert.deepEqual(
      [part.status, part.size, part.headers!['content-range']],
      [206, 1000, `bytes 1000-1999/${BYTES}`]
    )
    assert.equal(
      (await call<Bytes>('download', { file: 'a.txt', ifNoneMatch: `"${added.cid}"` })).status,
      304
    )
    await assert.rejects(call('download', { file: 'a.txt', range: `bytes=${BYTES}-` }), {
      name: 'FileRangeError'
    })

    // the same again is no new version, other bytes are
    assert.equal((await call<typeof added>('upload', { name: 'a.txt' }, seeded('1', BYTES))).version, 1)
    const second = await call<typeof added>('upload', { name: 'a.txt' }, seeded('2', 10))
    assert.equal(second.version, 2)
    const { items } = await call<{ items: { cid: string; version: number }[] }>('versions', { name: 'a.txt' })
    assert.deepEqual(
      items.map(({ cid, version }) => [cid, version]),
      [
        [second.cid, 2],
        [added.cid, 1]
      ]
    )
    const old = await call<Bytes>('download', { file: 'a.txt', version: 1 })
    assert.equal(old.size, BYTES)
    for await (const chunk of old.chunks) {
      // who reads no further keeps nothing busy
      assert.ok(chunk.length > 0)
      break
    }

    for (let i = 0; i < 5; i++) await call('upload', { name: `n${i}` }, seeded(`n${i}`, 10))
    const seen: string[] = []
    for (let cursor: string | undefined; ; ) {
      const page: { items: { cid: string }[]; next?: string } = await call('list', { limit: 2, cursor })
      seen.push(...page.items.map(({ cid }) => cid))
      if (page.next == null) break
      cursor = page.next
    }
    assert.equal(seen.length, 7)
    assert.equal(new Set(seen).size, 7)

    await call('unpin', { file: 'a.txt' })
    await assert.rejects(call('info', { file: added.cid }), { name: 'UnknownFileError' })
    await assert.rejects(call('download', { file: 'a.txt' }), { name: 'UnknownFileError' })
  })

  it('refuse names, paths and quotas by name, and keep nothing of what was refused', async () => {
    await using host = await startHost({ modules: [files], settings: { files: { quotaMb: 1 } } })
    const call = (name: string, input: object, body?: AsyncIterable<Uint8Array>): Promise<unknown> =>
      host.services.call('files', name, input, { ...OWNER, body })
    for (const name of [
      '../x',
      'a\0',
      'a\nb',
      '.',
      'bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e'
    ])
      await assert.rejects(call('upload', { name }, seeded('x', 10)), { name: 'FileNameError' })
    await assert.rejects(call('upload', { name: 'x'.repeat(10_000_000) }), { name: 'RequestError' })
    await assert.rejects(call('info', { file: 'x'.repeat(10_000_000) }), { name: 'RequestError' })
    await assert.rejects(call('add', { path: 'relative' }), { name: 'FilePathError' })
    await assert.rejects(call('add', { path: '/no/such/file' }), { name: 'FilePathError' })
    await assert.rejects(call('upload', { name: 'big' }, seeded('x', 2_000_000)), { name: 'QuotaError' })
    async function* broken() {
      yield* seeded('x', 300_000)
      throw new Error('the client has gone')
    }
    await assert.rejects(call('upload', { name: 'half' }, broken()))
    const { usage } = (await call('status', {})) as { usage: { own: number } }
    assert.equal(usage.own, 0)
  })
})
