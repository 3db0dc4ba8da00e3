import assert from 'node:assert/strict'
import type { User } from '../../../services/messenger/core/statement.ts'
import { stems } from '../../../services/messenger/device/words.ts'
import { isPerson } from '../../../services/messenger/people/acting.ts'
import { decodeList, planImport } from '../../../services/messenger/people/import-people.ts'
import { windows1251 } from './samples.ts'

describe('messenger: accounts', () => {
  it('are the people whose login their name is or makes, and nobody whose login is like it', () => {
    const cases: [account: string, login: string, isHe: boolean][] = [
      ['Anna Petrova', 'anna.petrova', true],
      ['anna.petrova', 'anna.petrova', true],
      ['Bob', 'bob', true],
      ['Пётр Ёжиков', 'пётр.ёжиков', true],
      ['anna-petrova', 'anna.petrova', false],
      ['anna.petrova', 'anna-petrova', false],
      ['Anna Petrova', 'anna_petrova', false],
      ['anna-petrova', 'anna-petrova', true],
      ['', 'anna.petrova', false]
    ]
    for (const [account, login, isHe] of cases)
      assert.equal(isPerson(account, login), isHe, `${account} ${login}`)
  })
})

describe('messenger: people from a list', () => {
  const none = (): undefined => undefined
  const LIST = 'ФИО;Роль;Класс\nПётр Ежов;учитель;7б|8а\nАнна Ли;;7б\n'

  it('are read in UTF-8, with a byte order mark or not, and in windows-1251 alike', () => {
    const utf8 = planImport(decodeList(Buffer.from(LIST)), none)
    assert.deepEqual(
      utf8.map(({ id, name, role, classes, action }) => [id, name, role, classes, action]),
      [
        ['пётр.ежов', 'Пётр Ежов', 'teacher', ['7б', '8а'], 'create'],
        ['анна.ли', 'Анна Ли', 'pupil', ['7б'], 'create']
      ]
    )
    assert.deepEqual(planImport(decodeList(windows1251(LIST)), none), utf8)
    assert.deepEqual(planImport(decodeList(Buffer.from(`\ufeff${LIST}`)), none), utf8)
    assert.deepEqual(planImport(LIST.replaceAll(';', ','), none), utf8)
  })

  it('change nothing the second time, and say what a line would change', () => {
    const known: User = { id: 'ann', name: 'Ann', role: 'pupil', classes: ['7b'], isDisabled: false }
    const actions = (text: string) =>
      planImport(`login,name,role,class\n${text}`, id => (id === 'ann' ? known : undefined)).map(
        each => each.action
      )
    assert.deepEqual(actions('ann,Ann,pupil,7b\nbob,Bob,pupil,7b'), ['same', 'create'])
    assert.deepEqual(actions('ann,Ann Lee,pupil,7b'), ['change'])
  })

  it('name the line of every mistake, and take the others', () => {
    const lines = planImport(
      'login,name,role\nann,Ann,queen\nbob,Bob,pupil\nbob,Bobby,pupil\n"a b",X,pupil\neve,,pupil\n',
      none
    )
    assert.deepEqual(
      lines.map(({ line, action }) => [line, action]),
      [
        [2, 'wrong'],
        [3, 'create'],
        [4, 'wrong'],
        [5, 'wrong'],
        [6, 'wrong']
      ]
    )
    for (const text of ['', 'role\npupil\n'])
      assert.throws(() => planImport(text, none), { name: 'RequestError' })
  })
})

describe('messenger: words', () => {
  it('are found in any of their forms, with e for ё, in Russian and English', () => {
    assert.deepEqual(stems('Ёлочные ИГРУШКИ'), stems('елочная игрушка'))
    assert.deepEqual(stems('Pupils are reading'), stems('pupil are reads'))
    assert.deepEqual(stems('  !? '), [])
  })
})
