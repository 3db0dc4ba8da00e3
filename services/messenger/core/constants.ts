/* What the page in the browser must know as well: nothing is imported here. */

export const MAX_TEXT_CHARS = 4_000
export const MAX_FILE_BYTES = 5 * 1024 * 1024
/** Of the chats in which people tell an admin about messages. */
export const REPORTS_TITLE = '⚑'
/** Of the chat of a person with himself that holds his own settings. */
export const SETTINGS_TITLE = '⚙'
/** of a chat at a time; of more the newest are shown */
export const MAX_PINS = 20
export const MAX_REASON_CHARS = 500
export const MAX_SILENCE_MINUTES = 525_600
/** of a person, that wait for the end of quiet hours */
export const MAX_LATER = 100
/** of one device, where the policy says nothing else */
export const MESSAGES_PER_MINUTE = 200
