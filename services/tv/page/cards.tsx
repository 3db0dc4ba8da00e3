import { Button, Stack, Title } from '@mantine/core'
import { useCallback, useState } from 'react'
import { RemoveButton, Row, Rows } from '../../host/page/rows.tsx'
import { useLoaded } from '../../host/page/use-loaded.ts'
import type { CardRow } from './api.ts'
import { CardForm } from './card-form.tsx'
import { EVERY_MS, type PartProps } from './part.ts'

/** The cards of this node, and their editor. */
export function Cards(part: PartProps) {
  const { api, words, tell, fail } = part
  const { t } = words
  const [edited, setEdited] = useState<CardRow>()
  const { value, reload } = useLoaded(
    useCallback(() => api.cards(), [api]),
    { fail, everyMs: EVERY_MS }
  )
  return (
    <Stack gap="md">
      <section className="card" aria-label={t('cards')}>
        <Rows label={t('cards')} empty={t('noCards')}>
          {(value?.items ?? []).map(row => (
            <Row
              key={row.name}
              title={row.name}
              detail={[
                t('cardAbout', {
                  version: row.version,
                  tvs: row.targets.length,
                  triggers: row.triggers.length
                }),
                ...(row.late.length === 0 ? [] : [t('late', { n: row.late.length })])
              ].join(' · ')}
            >
              <Button
                size="xs"
                variant="default"
                aria-label={t('edit', { name: row.name })}
                onClick={() => setEdited(row)}
              >
                {t('edit', { name: '' }).trim()}
              </Button>
              <RemoveButton
                label={t('end', { name: row.name })}
                onClick={() => void api.endCard(row.name).then(reload, fail)}
              />
            </Row>
          ))}
        </Rows>
      </section>
      <section className="card">
        <Title order={2} size="h5">
          {t('newCard')}
        </Title>
        <CardForm
          key={edited === undefined ? '' : `${edited.name} ${edited.version}`}
          {...part}
          card={edited}
          save={async card => {
            await api.setCard(card)
            tell(t('saved', { name: card.name }))
            setEdited(undefined)
            await reload()
          }}
        />
      </section>
    </Stack>
  )
}
