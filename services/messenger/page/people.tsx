import { Button, Group, Modal, NativeSelect, Stack, Text, TextInput, Title } from '@mantine/core'
import { useState } from 'react'
import { Row, Rows } from '../../host/page/rows.tsx'
import { Cards, Codes } from './codes.tsx'
import { appAddress, ImportPeople } from './import-people.tsx'
import type { PartProps } from './part.ts'
import type { Card, Invitation, User } from './wire.ts'
import { withWords } from './words.ts'

/** The rest is found by what is typed. */
const SHOWN = 100
type NewUser = Parameters<PartProps['api']['setUser']>[0]

/** Who is in the school; an admin brings people in and takes them out. */
export function People({
  people,
  isAdmin,
  changed,
  ...part
}: PartProps & { people: readonly User[]; isAdmin: boolean; changed(): void }) {
  const { api, words, fail } = part
  const { t, word } = words
  const [typed, setTyped] = useState('')
  const [invitation, setInvitation] = useState<Invitation>()
  const [hosted, setHosted] = useState<{ user: User; card?: Card | undefined }>()
  const [busy, setBusy] = useState<string>()
  const shown = withWords(people, typed, ({ id, name, classes }) => `${id} ${name} ${classes.join(' ')}`)

  async function act(user: string, work: Promise<Invitation | undefined>): Promise<void> {
    setBusy(user)
    await work.then(setInvitation, fail)
    setBusy(undefined)
    changed()
  }
  async function host(user: User): Promise<void> {
    setBusy(user.id)
    await api.host(user.id, appAddress()).then(({ card }) => setHosted({ user, card }), fail)
    setBusy(undefined)
    changed()
  }
  const set = (user: NewUser): Promise<void> =>
    act(
      user.id,
      api.setUser(user).then(({ invitation: made }) => made)
    )
  return (
    <Stack gap="md">
      {isAdmin && (
        <>
          <ImportPeople api={api} words={words} fail={fail} changed={changed} />
          <AddPerson words={words} isBusy={busy !== undefined} add={set} />
        </>
      )}
      <section className="card" aria-label={t('people')}>
        <TextInput
          label={t('findPeople')}
          value={typed}
          onChange={({ currentTarget }) => setTyped(currentTarget.value)}
        />
        <Rows label={t('people')} empty={t('nobody')}>
          {shown.slice(0, SHOWN).map(user => (
            <Row
              key={user.id}
              title={user.name}
              detail={[
                user.id,
                word('role', user.role),
                ...user.classes,
                t('devices', { n: user.devices.length }),
                ...(user.isDisabled ? [t('isDisabled')] : [])
              ].join(' · ')}
            >
              {isAdmin && !user.isDisabled && (
                <Button
                  size="xs"
                  variant="default"
                  loading={busy === user.id}
                  aria-label={t('newCodeFor', { name: user.name })}
                  onClick={() => void act(user.id, api.invite(user.id))}
                >
                  {t('newCode')}
                </Button>
              )}
              {isAdmin && !user.isDisabled && (
                <Button
                  size="xs"
                  variant="default"
                  loading={busy === user.id}
                  aria-label={t('hostOneOf', { name: user.name })}
                  onClick={() => void host(user)}
                >
                  {t('hostOne')}
                </Button>
              )}
              {isAdmin && (
                <Button
                  size="xs"
                  variant="default"
                  loading={busy === user.id}
                  aria-label={t(user.isDisabled ? 'enableOf' : 'disableOf', { name: user.name })}
                  onClick={() => void set({ ...user, isDisabled: !user.isDisabled })}
                >
                  {t(user.isDisabled ? 'enable' : 'disable')}
                </Button>
              )}
            </Row>
          ))}
        </Rows>
      </section>
      <Modal
        opened={invitation !== undefined}
        onClose={() => setInvitation(undefined)}
        title={t('newCode')}
        closeButtonProps={{ 'aria-label': t('close') }}
      >
        {invitation !== undefined && <Codes invitations={[invitation]} words={words} />}
      </Modal>
      <Modal
        opened={hosted !== undefined}
        onClose={() => setHosted(undefined)}
        title={t('hostOne')}
        closeButtonProps={{ 'aria-label': t('close') }}
      >
        {hosted?.card !== undefined && <Cards cards={[hosted.card]} words={words} />}
        {hosted !== undefined && hosted.card === undefined && (
          <Text>{t('isHosted', { name: hosted.user.name })}</Text>
        )}
      </Modal>
    </Stack>
  )
}

function AddPerson({
  words,
  isBusy,
  add
}: Pick<PartProps, 'words'> & { isBusy: boolean; add(user: NewUser): Promise<void> }) {
  const { t, word } = words
  const [id, setId] = useState('')
  const [name, setName] = useState('')
  const [role, setRole] = useState<User['role']>('pupil')
  const [classes, setClasses] = useState('')
  return (
    <section className="card" aria-label={t('addPerson')}>
      <Title order={2} size="h4" mb="xs">
        {t('addPerson')}
      </Title>
      <form
        onSubmit={event => {
          event.preventDefault()
          const named = classes
            .split(',')
            .map(each => each.trim())
            .filter(Boolean)
          void add({ id: id.trim(), name: name.trim(), role, classes: named, isDisabled: false })
        }}
      >
        <Group align="flex-end" gap="sm">
          <TextInput
            label={t('login')}
            required
            maxLength={64}
            value={id}
            onChange={({ currentTarget }) => setId(currentTarget.value)}
          />
          <TextInput
            label={t('name')}
            required
            maxLength={100}
            value={name}
            onChange={({ currentTarget }) => setName(currentTarget.value)}
          />
          <NativeSelect
            label={t('role')}
            value={role}
            onChange={({ currentTarget }) => setRole(currentTarget.value as User['role'])}
            data={(['pupil', 'teacher', 'admin'] as const).map(value => ({
              value,
              label: word('role', value)
            }))}
          />
          <TextInput
            label={t('classesHint')}
            value={classes}
            onChange={({ currentTarget }) => setClasses(currentTarget.value)}
          />
          <Button type="submit" loading={isBusy}>
            {t('add')}
          </Button>
        </Group>
      </form>
    </section>
  )
}
