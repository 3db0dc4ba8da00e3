import { deepEqual, equal, match, notEqual, ok, rejects } from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { existsSync, mkdtempSync, readlinkSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import sharp from 'sharp'
import { createNativeProgram } from '../../../sandbox/index.ts'
import { createShrink } from '../../../services/assistant/images/create-shrink.ts'
import { kindOf } from '../../../services/assistant/images/kind-of.ts'
import { findSharp } from '../../../services/assistant/images/sharp-files.ts'
import { statusOf } from '../../sandbox/processes.ts'

const SIDE = 256
const photo = (width: number, height: number) =>
  sharp(randomBytes(width * height * 3), { raw: { width, height, channels: 3 } }).withExif({
    IFD0: { Copyright: 'canary-exif' }
  })

describe('assistant: images', function () {
  this.timeout(120_000)
  let shrink: ReturnType<typeof createShrink>
  beforeEach(() => {
    shrink = createShrink()
  })
  afterEach(() => shrink.close())
  const smaller = async (...images: Uint8Array[]): Promise<Buffer[]> => {
    const data = images.map(image => ({ b64_json: Buffer.from(image).toString('base64') }))
    const answer = await shrink.images({ created: 1, data }, SIDE)
    return (answer.data as typeof data).map(({ b64_json }) => Buffer.from(b64_json, 'base64'))
  }

  it('become WebP of at most so many pixels a side, as they are looked at, without what is no picture', async () => {
    const [png, jpeg, turned] = await Promise.all([
      photo(600, 300).png().toBuffer(),
      photo(300, 600).jpeg().toBuffer(),
      // 6: to be turned by a quarter
      photo(600, 300).withMetadata({ orientation: 6 }).jpeg().toBuffer()
    ])
    const made = await smaller(png!, jpeg!, turned!)
    const sizes = await Promise.all(
      made.map(async image => {
        const { format, width, height } = await sharp(image).metadata()
        ok(!image.includes('canary-exif'))
        return `${format} ${width}×${height}`
      })
    )
    equal(sizes.join(), 'webp 256×128,webp 128×256,webp 128×256')
  })

  it('stay as they are where that is smaller, and where it is only said where they are', async () => {
    const tiny = await sharp({ create: { width: 1, height: 1, channels: 3, background: 'red' } })
      .webp({ quality: 1 })
      .toBuffer()
    ok((await smaller(tiny))[0]!.equals(tiny))
    const { data } = await shrink.images({ data: [{ url: 'https://images.example/1.png' }] }, SIDE)
    equal(JSON.stringify(data), '[{"url":"https://images.example/1.png"}]')
  })

  it('that are hostile or none are refused, and the next one goes on', async () => {
    const png = await photo(600, 300).png().toBuffer()
    // 100,000 × 100,000 pixels in a file of 1 KB
    const bomb = Buffer.from(png.subarray(0, 1024))
    bomb.writeUInt32BE(100_000, 16)
    bomb.writeUInt32BE(100_000, 20)
    bomb.writeUInt32BE(crc32(bomb.subarray(12, 29)), 29)
    await rejects(smaller(bomb), /pixel limit/)
    await rejects(smaller(png.subarray(0, png.length / 2)), { name: 'StreamError' })
    for (const text of ['<svg xmlns="http://www.w3.org/2000/svg"/>', 'GIF89a', ''])
      await rejects(smaller(Buffer.from(text)), /no PNG, JPEG or WebP/, text)
    const [made] = await smaller(png)
    equal(kindOf(made!), 'webp')
  })

  it('of which each is damaged somewhere become WebP or are refused, and never end the node', async () => {
    const png = await photo(40, 20).png().toBuffer()
    let seed = 7
    const random = (below: number) => {
      seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0
      return (seed >>> 8) % below
    }
    for (let i = 0; i < 4; i++) {
      const damaged = Buffer.from(png)
      for (let times = 0; times < 4; times++) damaged[8 + random(png.length - 8)] = random(256)
      const made = await smaller(damaged).then(
        ([image]) => kindOf(image!) ?? 'none',
        (error: Error) => error.name
      )
      match(made, /^(webp|png|StreamError)$/)
    }
    equal(kindOf((await smaller(await photo(600, 300).png().toBuffer()))[0]!), 'webp')
  })

  it('are read by nobody where a wall is missing', async () => {
    const bare = createShrink('/nowhere')
    const b64_json = (await photo(600, 300).png().toBuffer()).toString('base64')
    // before a provider is asked
    await rejects(bare.check(), { code: 'no_walls', status: 503 })
    await rejects(bare.images({ data: [{ b64_json }] }, SIDE), { code: 'no_walls', status: 503 })
  })

  describe('their decoder', () => {
    const { entry, ...files } = findSharp()!
    const limits = { ...files, memoryMb: 256, outputBytes: 65_536 }
    const sharpIn = `process.getBuiltinModule('module').createRequire(${JSON.stringify(entry)})(${JSON.stringify(entry)})`
    let signal: AbortSignal
    beforeEach(() => {
      signal = AbortSignal.timeout(100_000)
    })

    it('has no file of the node, no network and nothing of its environment', async () => {
      const folder = mkdtempSync(join(tmpdir(), 'artel-decoder-'))
      const file = join(folder, 'secret.png')
      writeFileSync(file, await photo(8, 8).png().toBuffer())
      let connections = 0
      const server = createServer(socket => {
        connections++
        socket.destroy()
      })
      await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
      const { port } = server.address() as { port: number }
      // libvips opens files by itself: nothing of Node's stands before it
      const program = createNativeProgram({
        ...limits,
        work: `require => async input => {
          const { file, port } = JSON.parse(input)
          const named = await ${sharpIn}(file).metadata().then(({ format }) => format, error => error.message)
          const reached = await new Promise(resolve => {
            const socket = require('net').connect(port, '127.0.0.1', () => resolve('reached'))
            socket.on('error', error => resolve(error.code))
          })
          return Buffer.from(JSON.stringify({ named, reached, path: process.env.PATH ?? 'none' }))
        }`
      })
      const child = await program.open()
      try {
        equal((await sharp(file).metadata()).format, 'png')
        const told = JSON.parse(`${await child.run(Buffer.from(JSON.stringify({ file, port })), { signal })}`)
        match(told.named, /missing/)
        notEqual(told.reached, 'reached')
        equal(told.path, 'none')
        equal(connections, 0)
        const walls = ['Seccomp', 'NoNewPrivs', 'CapEff'].map(line =>
          Number(`0x${statusOf(child.pid, line)}`)
        )
        deepEqual(walls, [2, 1, 0])
        notEqual(networkOf(child.pid), networkOf('self'))
      } finally {
        child.kill()
        server.close()
        rmSync(folder, { recursive: true })
      }
    })

    it('ends with its deadline, or where it takes more memory than it has', async () => {
      const program = createNativeProgram({
        ...limits,
        work: `require => async input => {
          if (input.length === 0) for (;;);
          const kept = []
          for (;;) kept.push(Buffer.alloc(16 << 20, 1))
        }`
      })
      const [endless, greedy] = await Promise.all([program.open(), program.open()])
      try {
        await rejects(endless.run(Buffer.alloc(0), { signal: AbortSignal.timeout(100) }), {
          name: 'TimeoutError'
        })
        await rejects(greedy.run(Buffer.alloc(1), { signal }), /ended|allocat/i)
      } finally {
        endless.kill()
        greedy.kill()
      }
    })
  })
})

/** the links of a process in another user namespace may be hidden from us, which says the same */
function networkOf(pid: number | 'self'): string {
  const link = `/proc/${pid}/ns/net`
  try {
    return readlinkSync(link)
  } catch {
    ok(existsSync(`/proc/${pid}`))
    return 'hidden'
  }
}
