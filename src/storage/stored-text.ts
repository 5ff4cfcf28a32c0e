/** What PostgreSQL cannot hold in a text or a jsonb: NUL, and halves of surrogate pairs. Foreign error texts have them. */
const UNSTORABLE = /\0|\p{Cs}/gu;

export function toStoredText(text: string): string {
  return text.replace(UNSTORABLE, '\ufffd');
}

/** JSON of a value whose texts may come from anywhere. */
export function toStoredJson(value: object): string {
  return JSON.stringify(value, (_name, field: unknown) => (typeof field === 'string' ? toStoredText(field) : field));
}
