import { Badge, Button, Group, Text, Title } from '@mantine/core'
import { useState } from 'react'
import { Row, Rows } from '../../host/page/rows.tsx'
import type { PartProps } from './part.ts'
import type { Finding } from './wire.ts'

const COLOURS = { ok: 'teal', warn: 'orange', fail: 'red' } as const
type Look = () => Promise<{ items: Finding[] }>

/** What a look at the node finds, with what to do. */
export function Findings({
  words,
  fail,
  looks
}: Pick<PartProps, 'words' | 'fail'> & { looks: Record<string, { label: string; look: Look }> }) {
  const { t, word } = words
  const [found, setFound] = useState<readonly Finding[]>()
  const [busy, setBusy] = useState<string>()
  async function press(name: string, look: Look): Promise<void> {
    setBusy(name)
    await look().then(({ items }) => setFound(items), fail)
    setBusy(undefined)
  }
  return (
    <section className="card" aria-label={t('state')}>
      <Title order={2} size="h4" mb="xs">
        {t('state')}
      </Title>
      <Group gap="xs" mb="xs">
        {Object.entries(looks).map(([name, { label, look }]) => (
          <Button key={name} variant="default" loading={busy === name} onClick={() => void press(name, look)}>
            {label}
          </Button>
        ))}
      </Group>
      {found !== undefined && (
        <Rows label={t('state')} empty={t('nothingFound')}>
          {found.map(({ name, state, detail, remedy }) => (
            <Row key={name} title={word('finding', name)} detail={detail}>
              <Badge variant="dot" tt="none" color={COLOURS[state]}>
                {word('state', state)}
              </Badge>
              {remedy !== undefined && <Text size="sm">{remedy}</Text>}
            </Row>
          ))}
        </Rows>
      )}
    </section>
  )
}
