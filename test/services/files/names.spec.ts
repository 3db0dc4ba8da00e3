import assert from 'node:assert/strict'
import fc from 'fast-check'
import { checkName, checkOwnName, contentDisposition } from '../../../services/files/names.ts'

const HOSTILE = [
  '',
  '.',
  '..',
  '../../etc/passwd',
  '/etc/passwd',
  'a/b',
  'a\\b',
  'a\0b',
  'a\nb',
  'a\rb',
  'a\u2028b',
  'a\x7f',
  '\ud800',
  'ä'.repeat(128),
  'x'.repeat(10_000_000)
]

describe('files: names', () => {
  it('that are no single step of a path, or not printable, are refused by name, shortly', () => {
    for (const name of HOSTILE)
      assert.throws(
        () => checkName(name),
        (error: Error) => error.name === 'FileNameError' && error.message.length < 500,
        JSON.stringify(name.slice(0, 20))
      )
  })

  it('in any script are taken as they are', () => {
    for (const name of [
      'résumé.pdf',
      'Фото из отпуска.jpg',
      '写真 (1).png',
      '-rf',
      'a'.repeat(255),
      '…',
      '~'
    ])
      assert.equal(checkName(name), name)
  })

  it('that are a CID are no names of the owner', () => {
    assert.throws(() => checkOwnName('bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e'), {
      name: 'FileNameError'
    })
    assert.equal(checkOwnName('bafkrei'), 'bafkrei')
  })

  it('stand in a header so that it stays one line of ASCII, and come out whole', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 80 }), name => {
        const header = contentDisposition('attachment', name)
        assert.match(header, /^attachment; filename="[ !#$&-[\]-~]*"; filename\*=UTF-8''[\w!#$&+.^`|~%-]*$/)
        const encoded = header.slice(header.lastIndexOf("''") + 2)
        assert.equal(decodeURIComponent(encoded), name.toWellFormed())
      })
    )
  })
})
