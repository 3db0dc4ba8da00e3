import {
  Alert,
  Button,
  FileButton,
  Group,
  NativeSelect,
  ScrollArea,
  Stack,
  Table,
  Text,
  Textarea
} from '@mantine/core'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { FileUp, Printer } from 'lucide-react'
import { useState } from 'react'
import type { Imported } from '../../../../access/index.ts'
import { Qr } from '../../../../host/page/qr.tsx'
import { call } from '../api/client.ts'
import { useTexts } from '../i18n/i18n.tsx'
import { Card, Problem } from '../parts/page.tsx'
import { linkOf } from './link.tsx'
import { readList } from './read-list.ts'

/** A class at once: a list, what it would do line by line, then the cards with the links. */
export function Import({ roles }: { roles: string[] }) {
  const { t } = useTexts()
  const queries = useQueryClient()
  const [list, setList] = useState('')
  const [role, setRole] = useState(roles.includes('pupil') ? 'pupil' : (roles[0] ?? ''))
  const bring = useMutation({
    mutationFn: (isPreview: boolean) =>
      call<Imported>('/accounts/import', { method: 'POST', body: { list, role, isPreview } }),
    onSuccess: ({ isDone }) => {
      if (!isDone) return
      setList('')
      for (const key of ['accounts', 'sessions', 'invitations'])
        void queries.invalidateQueries({ queryKey: [key] })
    }
  })
  const change = (text: string): void => {
    setList(text)
    bring.reset()
  }
  const { data } = bring
  const isGood = data?.lines.every(({ action }) => action !== 'wrong') === true
  const isPreview = data != null && !data.isDone
  return (
    <Card title={t('import.title')}>
      <Stack>
        <Text size="sm" c="dimmed">
          {t('import.explain')}
        </Text>
        <Textarea
          label={t('import.list')}
          placeholder={'name,role\nАнна Петрова,pupil'}
          autosize
          minRows={3}
          maxRows={10}
          value={list}
          onChange={event => change(event.currentTarget.value)}
        />
        <Group align="flex-end">
          <FileButton
            accept=".csv,.txt,text/csv,text/plain"
            onChange={file => void file?.arrayBuffer().then(bytes => change(readList(new Uint8Array(bytes))))}
          >
            {props => (
              <Button {...props} variant="default" leftSection={<FileUp size={16} aria-hidden />}>
                {t('import.file')}
              </Button>
            )}
          </FileButton>
          <NativeSelect
            label={t('import.role')}
            data={roles}
            value={role}
            onChange={event => {
              setRole(event.currentTarget.value)
              bring.reset()
            }}
          />
          <Button
            variant={isPreview && isGood ? 'default' : 'filled'}
            disabled={list.trim() === ''}
            loading={bring.isPending && bring.variables}
            onClick={() => bring.mutate(true)}
          >
            {t('import.preview')}
          </Button>
        </Group>
        {bring.error != null && <Problem error={bring.error} />}
        {isPreview && <Preview lines={data.lines} />}
        {isPreview && isGood && data.lines.length > 0 && (
          <Group>
            <Button loading={bring.isPending} onClick={() => bring.mutate(false)}>
              {t('import.do', { n: data.lines.filter(({ action }) => action !== 'same').length })}
            </Button>
          </Group>
        )}
        {data?.isDone === true && <Cards invitations={data.invitations} />}
      </Stack>
    </Card>
  )
}

function Preview({ lines }: { lines: Imported['lines'] }) {
  const { t } = useTexts()
  const wrong = lines.filter(({ action }) => action === 'wrong')
  return (
    <>
      {wrong.length > 0 && (
        <Alert color="red" variant="light" role="alert" title={t('import.wrong', { n: wrong.length })}>
          {t('import.wrongText')}
        </Alert>
      )}
      {/* a list that is long is looked through here, not on the whole page */}
      <ScrollArea.Autosize
        mah="20rem"
        viewportProps={{ tabIndex: 0, role: 'region', 'aria-label': t('import.lines') }}
      >
        <Table verticalSpacing={4}>
          <Table.Tbody>
            {[...wrong, ...lines.filter(({ action }) => action !== 'wrong')].map(each => (
              <Table.Tr key={each.line}>
                <Table.Td className="num" c="dimmed">
                  {each.line}
                </Table.Td>
                <Table.Td>
                  <Text size="sm" style={{ overflowWrap: 'anywhere' }}>
                    {each.name}
                  </Text>
                  {each.mistake != null && (
                    <Text size="xs" className="mistake">
                      {each.mistake}
                    </Text>
                  )}
                </Table.Td>
                <Table.Td>
                  <Text size="sm">{each.role}</Text>
                </Table.Td>
                <Table.Td>
                  <Text size="sm" c="dimmed">
                    {t(`import.${each.action}`)}
                  </Text>
                </Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      </ScrollArea.Autosize>
    </>
  )
}

/** One to cut out for each new person. */
function Cards({ invitations }: { invitations: Imported['invitations'] }) {
  const { t } = useTexts()
  return (
    <>
      <Alert color="artel" variant="light" role="status" title={t('import.done', { n: invitations.length })}>
        {invitations.length > 0 && t('import.doneText')}
      </Alert>
      {invitations.length > 0 && (
        <>
          <Group>
            <Button
              variant="default"
              leftSection={<Printer size={16} aria-hidden />}
              onClick={() => window.print()}
            >
              {t('import.print')}
            </Button>
          </Group>
          <div className="invitations">
            {invitations.map(invitation => (
              <div key={invitation.id} className="invitation">
                <Text fw={600}>{invitation.name}</Text>
                <Qr text={linkOf(invitation)} label={t('link.for', { name: invitation.name ?? '' })} />
                <Text size="xs" ff="monospace" style={{ overflowWrap: 'anywhere' }}>
                  {linkOf(invitation)}
                </Text>
              </div>
            ))}
          </div>
        </>
      )}
    </>
  )
}
