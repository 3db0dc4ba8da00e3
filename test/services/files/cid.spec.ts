import assert from 'node:assert/strict'
import type { CID } from 'multiformats/cid'
import { seeded } from '../../../node/demo/seeded.ts'
import { type Candidate, importFiles, importSettings } from '../../../services/files/add.ts'
import { readCid } from '../../../services/files/cid.ts'
import { linksOf, readNode } from '../../../services/files/dag-node.ts'
import { text } from './local.ts'

async function add(candidates: Candidate[], chunkBytes?: number) {
  const blocks = new Map<string, Uint8Array>()
  let longest = 0
  const put = async (cid: CID, bytes: Uint8Array): Promise<void> => {
    longest = Math.max(longest, bytes.length)
    if (cid.code === 0x70) blocks.set(cid.toString(), bytes)
  }
  const { cid } = await importFiles(candidates, put, importSettings(chunkBytes))
  const root = blocks.get(cid)
  return { cid, longest, links: root == null ? 0 : linksOf(readNode(readCid(cid)!, root)).length }
}

const MIB = 1 << 20

/* Expected values: kubo's test/cli/add_test.go, test/sharness/t0040 and t0114, made with `ipfs add --cid-version 1`. */
describe('files: CIDs', () => {
  it('of small files are those of ipfs add --cid-version 1 --raw-leaves', async () => {
    const known: [string, string][] = [
      ['', 'bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku'],
      ['hello world', 'bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e'],
      ['hello\n', 'bafkreicysg23kiwv34eg2d7qweipxwosdo2py4ldv42nbauguluen5v6am']
    ]
    for (const [content, cid] of known)
      assert.equal((await add([{ path: 'a', content: text(content) }])).cid, cid)
  })

  it('of a folder are those of ipfs add -r', async () => {
    const { cid } = await add([
      { path: 'testdirlisting' },
      { path: 'testdirlisting/hello', content: text('hello\n') },
      { path: 'testdirlisting/ipfs/ipns/bar', content: text('text-file-content\n') },
      { path: 'testdirlisting/api/file.txt', content: text('I am a txt file\n') },
      { path: 'testdirlisting/ipfs/file.txt', content: text('I am a txt file\n') }
    ])
    assert.equal(cid, 'bafybeiht6dtwk3les7vqm6ibpvz6qpohidvlshsfyr7l5mpysdw2vmbbhe')
  })

  it('of large files have leaves of 256 KiB, 174 to a node', async () => {
    const one = await add([{ path: 'a', content: seeded('a', 174 * 262_144) }])
    assert.deepEqual([one.links, one.longest], [174, 262_144])
    const more = await add([{ path: 'a', content: seeded('a', 174 * 262_144 + 1) }])
    assert.equal(more.links, 2)
  })

  it('of large files are those of ipfs add in its layout, here with its leaves of 1 MiB', async () => {
    const { cid, links } = await add([{ path: 'a', content: seeded('v1-seed', 175 * MIB) }], MIB)
    assert.deepEqual([cid, links], ['bafybeidhd7lo2n2v7lta5yamob3xwhbxcczmmtmhquwhjesi35jntf7mpu', 2])
  })

  it('are read in either version and any base, and nothing else is', () => {
    for (const right of [
      'QmZULkCELmmk5XNfCgTnCyFgAVxBRBXyDHGGMVoLFLiXEN',
      'bafybeiffndsajwhk3lwjewwdxqntmjm4b5wxaaanokonsggenkbw6slwk4',
      'bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e'
    ])
      assert.ok(readCid(right), right)
    for (const wrong of [
      '',
      'hello',
      '../bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e',
      // SHA-512, and dag-cbor
      'bafkrgqhhyivzstcz3hhswshfjgy6ertgmnqeleynhwt4dlfsthi4hn7zgh4uvlsb5xncykzapi3ocd4lzogukir6ksdy6wzrnz6ohnv4aglcs',
      'bafyreigbtj4x7ip5legnfznufuopl4sg4knzc2cof6duas4b3q2fy6swua',
      `b${'a'.repeat(10_000_000)}`
    ])
      assert.equal(readCid(wrong), undefined, wrong.slice(0, 20))
  })
})
