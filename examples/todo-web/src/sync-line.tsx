import { useStatus } from '@headwater/client/react'
import type { SyncStatus } from '@headwater/client/web'
import type { ReactNode } from 'react'
import { useNow } from './use-now.ts'

type Tone = 'calm' | 'busy' | 'off' | 'trouble'

/** One line that says how this device and the service stand. */
export function SyncLine({ isOnline }: { readonly isOnline: boolean }): ReactNode {
  const status = useStatus()
  const nowMs = useNow(5_000)
  const { tone, text } = describe(isOnline, status, nowMs)
  return (
    <p className="sync-line" data-tone={tone} role="status" title={status.downloadError?.message}>
      <span className="dot" aria-hidden="true" />
      <span>{text}</span>
    </p>
  )
}

function describe(
  isOnline: boolean,
  status: SyncStatus,
  nowMs: number,
): { readonly tone: Tone; readonly text: string } {
  if (!isOnline) return { tone: 'off', text: 'Offline. Changes stay on this device for now.' }
  if (status.uploadError !== undefined)
    return { tone: 'trouble', text: 'Changes cannot be uploaded yet. Trying again.' }
  if (status.connecting || !status.connected) {
    return status.downloadError === undefined
      ? { tone: 'busy', text: 'Connecting …' }
      : { tone: 'trouble', text: 'The service does not answer. Trying again.' }
  }
  const progress = status.downloadProgress
  if (status.hasSynced !== true) {
    const percent = progress === null ? '' : ` ${Math.round(progress.downloadedFraction * 100)} %`
    return { tone: 'busy', text: `First download${percent} …` }
  }
  if (status.uploading) return { tone: 'busy', text: 'Uploading …' }
  return { tone: 'calm', text: `In step${ageText(status.lastSyncedAt, nowMs)}` }
}

function ageText(lastSyncedAt: Date | undefined, nowMs: number): string {
  if (lastSyncedAt === undefined) return ''
  const seconds = (nowMs - lastSyncedAt.getTime()) / 1000
  if (seconds < 10) return ' · just now'
  if (seconds < 60) return ' · less than a minute ago'
  if (seconds < 3600) return ` · ${Math.floor(seconds / 60)} min ago`
  return ` · since ${lastSyncedAt.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' })}`
}
