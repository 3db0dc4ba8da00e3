import { useComputedColorScheme } from '@mantine/core'
import { type SyntheticEvent, useEffect, useRef, useState } from 'react'
import { useVolunteers } from '../api/queries.ts'
import { useTexts } from '../i18n/i18n.tsx'
import { Empty } from '../parts/empty.tsx'
import { Asked, PageHead } from '../parts/page.tsx'

/** The page for volunteers (node/tab) as a frame: what it lends ends with it, so it stays when another page is shown. */
export default function LendPage({ isShown }: { isShown: boolean }) {
  const { t } = useTexts()
  const volunteers = useVolunteers()
  return (
    <div hidden={!isShown}>
      {isShown && <PageHead title={t('nav.lend')} lead={t('lend.lead')} />}
      <Asked query={volunteers}>
        {isServed => (isServed ? <Frame /> : <Empty title={t('lend.off')} text={t('lend.offText')} />)}
      </Asked>
    </div>
  )
}

function Frame() {
  const { t, language } = useTexts()
  const scheme = useComputedColorScheme('light')
  const [height, setHeight] = useState(0)
  const end = useRef<() => void>(undefined)
  useEffect(() => () => end.current?.(), [])

  const follow = ({ currentTarget: { contentDocument } }: SyntheticEvent<HTMLIFrameElement>): void => {
    const main = contentDocument!.querySelector('main')
    if (main == null) return
    const observer = new ResizeObserver(() => main.offsetHeight > 0 && setHeight(main.offsetHeight))
    observer.observe(main)
    end.current = () => observer.disconnect()
  }
  return (
    <iframe
      title={t('nav.lend')}
      src={`./volunteer#framed&lang=${language}&scheme=${scheme}`}
      style={{ border: 0, width: '100%', height: `${Math.max(height, 300)}px`, colorScheme: scheme }}
      onLoad={follow}
    />
  )
}
