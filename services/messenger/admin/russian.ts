/** The sentences of the administration in Russian, by what they are in English; a test looks for those that are missing. */
export const russian: Readonly<Record<string, string>> = {
  '{0} MB': '{0} МБ',
  '{0} ms': '{0} мс',
  'end other programs, or let this node lend less: artel contribute':
    'завершите другие программы или отдавайте меньше этого узла: artel contribute',
  'end other programs, or give this machine more memory':
    'завершите другие программы или добавьте этой машине памяти',
  'artel messenger cleanup, or make room on the disk':
    'artel messenger cleanup или освободите место на диске',
  'artel messenger cleanup; a smaller messenger.mailMb':
    'artel messenger cleanup; уменьшите messenger.mailMb',
  'artel messenger diagnose; see memory and processor':
    'artel messenger diagnose; посмотрите на память и процессор',
  'close pages that nobody looks at, or let people sign in at a second node; artel messenger log websocket says who follows':
    'закройте страницы, на которые никто не смотрит, или пусть часть людей входит на втором узле; кто подключён, говорит artel messenger log websocket',

  'this node is in no school': 'этот узел не состоит в школе',
  'artel messenger found NAME, or artel messenger join CODE':
    'artel messenger found НАЗВАНИЕ или artel messenger join КОД',
  'all {0} answer': 'отвечают все, их {0}',
  '{0} of {1} do not answer: {2}': 'не отвечают {0} из {1}: {2}',
  'start those nodes and see that this one reaches them (its seeds, firewall); or name others: artel messenger mailboxes':
    'запустите эти узлы и проверьте, что этот до них достаёт (его seeds, межсетевой экран); или назовите другие: artel messenger mailboxes',
  'everything is at the mailboxes': 'всё лежит на почтовых узлах',
  '{0} envelopes wait for a mailbox': 'ждут почтового узла конвертов: {0}',
  'they go by themselves when the mailboxes answer and have room':
    'они уйдут сами, когда почтовые узлы ответят и найдут место',
  '{0} % of the mail’s room is used': 'занято {0} % места для почты',
  'pictures and files are refused when it is full: set a larger messenger.mailMb':
    'когда места не станет, картинки и файлы не примут: увеличьте messenger.mailMb',
  'nobody sends more than he may': 'никто не отправляет больше, чем можно',
  'more than the policy lets a device send, in the last hour: {0}':
    'больше, чем правила позволяют отправлять одному устройству, за последний час: {0}',
  'a mailbox takes the rest later; where no person wrote it: artel messenger revoke DEVICE':
    'остальное почтовый узел примет позже; если писал не человек: artel messenger revoke УСТРОЙСТВО',
  'it cannot be read and written: {0}': 'её нельзя прочесть и записать: {0}',
  'whole, and can be written': 'цела, и в неё можно писать',
  'nothing can be sent: artel messenger verify, then artel messenger restore ID':
    'отправить ничего нельзя: artel messenger verify, затем artel messenger restore ID',

  '{0} of {1} nodes have what was backed up last': 'последняя копия есть на {0} узлах из {1}',
  'on other nodes of the school: artel config set messenger.copiesMb 1024':
    'на других узлах школы: artel config set messenger.copiesMb 1024',
  'only the owner of this node reads its keys': 'ключи читает только владелец этого узла',
  'others of this machine may read {0}': 'другие на этой машине могут прочесть {0}',
  'administrators who prove nothing but a password: {0}': 'администраторы, у которых есть только пароль: {0}',
  'each of them turns on the second factor, on the page Account':
    'каждый из них включает второй фактор на странице «Учётная запись»',
  '{0} of {1} are kept by an older method': 'по старому способу хранятся {0} из {1}',
  'they are kept anew when those people sign in; take away accounts that nobody uses: artel account list':
    'они сохранятся заново, когда эти люди войдут; уберите записи, которыми никто не пользуется: artel account list',
  '{0} accounts; each password was none of those that are tried first when it was chosen':
    'учётных записей: {0}; ни один пароль при выборе не был из тех, что пробуют первыми',
  'none failed in 30 days': 'за 30 дней неудачных не было',
  '{0} failed in 30 days, most from {1}': 'за 30 дней неудачных: {0}, больше всего с {1}',
  'who guesses waits ever longer; block the address in the firewall, and where one person is meant: artel messenger incident account --user LOGIN':
    'кто подбирает, ждёт всё дольше; закройте адрес в межсетевом экране, а если подбирают к одному человеку: artel messenger incident account --user ЛОГИН',
  'there is none: nobody signs in from another machine': 'его нет: с другой машины никто не войдёт',
  'none is needed: this machine alone is answered': 'не нужен: отвечают только этой машине',
  'it counts for {0} days more': 'действует ещё дней: {0}',
  'artel messenger cert makes one; then start the node anew':
    'его делает artel messenger cert; потом запустите узел заново',
  '{0} with a device': 'с устройством: {0}',
  '{0} with a device: where his computer is lost, nobody brings people in':
    'с устройством: {0}; если его компьютер пропадёт, принимать людей будет некому',
  '{0}, of which more than half decide': '{0}, решает больше половины',
  '{0}: no more may be away than of {1}': '{0}: отсутствовать может не больше, чем из {1}',

  'artel messenger restore ID brings it back from a backup': 'artel messenger restore ID вернёт это из копии',
  whole: 'цела',
  'stop the node, move messenger.sqlite away, start it; then {0}':
    'остановите узел, уберите messenger.sqlite, запустите его; затем {0}',
  '{0} are whole': 'целы все, их {0}',
  '{0} of {1} are damaged: {2}': 'повреждены {0} из {1}: {2}',
  'there is none': 'её нет',
  'artel messenger backup makes one': 'artel messenger backup сделает её',
  'artel messenger backup makes another': 'artel messenger backup сделает другую',
  '{0} can be restored, {1} events': '{0} можно восстановить, событий: {1}',

  '{0}, {1} hours old, {2} events': '{0}, часов назад: {1}, событий: {2}',
  'database, messages, mail, files and newest backup are whole':
    'база данных, сообщения, почта, файлы и последняя копия целы',
  'artel messenger cleanup does it': 'её делает artel messenger cleanup',
  'it never ran; the database has {0} MB': 'её ещё не было; в базе данных {0} МБ',
  'it ran {0} hours ago; the database has {1} MB': 'часов назад: {0}; в базе данных {1} МБ',
  'Node {0} runs it': 'работает на Node {0}',
  'compare with the newest release of Artel, this node asks nobody on the internet; artel update FILE puts it in place':
    'сравните с последним выпуском Artel, сам узел никого в интернете не спрашивает; его ставит artel update FILE',
  '{0} messages this month': 'сообщений за этот месяц: {0}',

  'Take the computer that leaked off the network; its device does not count any more, and chats go on without it':
    'Отключите от сети компьютер, с которого утекли данные; его устройство больше не считается, и чаты идут дальше без него',
  'See what was reached: who had a device there, in which chats':
    'Посмотрите, до чего добрались: у кого там было устройство и в каких чатах',
  'Everybody with an account on that node takes another password; tokens are made anew':
    'Все, у кого на том узле есть учётная запись, меняют пароль; токены создаются заново',
  'Tell the people of those chats: what was said before stays readable to whoever has the keys of then':
    'Скажите людям из этих чатов: сказанное раньше прочтёт всякий, у кого есть ключи того времени',
  'Find the peers that ask most': 'Найдите узлы, которые спрашивают чаще всех',
  'Close this node to strangers: a network of its own, its port open to the school only':
    'Закройте узел от посторонних: своя сеть, порт открыт только для школы',
  'Block their addresses in the firewall; a peer that breaks the rules is barred by itself':
    'Закройте их адреса в межсетевом экране; узел, который нарушает правила, отключается сам',
  'See that it is over: answers and mailboxes': 'Убедитесь, что всё прошло: ответы и почтовые узлы',
  'Disable {0}: nobody takes anything of his devices from then on':
    'Отключите {0}: с этой минуты от его устройств никто ничего не примет',
  'Revoke the device, and what came in by it': 'Отзовите устройство и те, что вошли через него',
  'Look at what was written in his name': 'Посмотрите, что написано от его имени',
  'Enable him again, with a new device and a new password; tell him':
    'Включите его снова, с новым устройством и новым паролем; скажите ему об этом',

  '- nothing is wrong': '- всё в порядке',
  [`Subject: [PROBLEM] {0}

What happened:
1. What happened?
2. When did it happen?
3. How can it be made to happen again?
4. What should have happened?
5. What happened instead?

System:
- {1} {2}, {3} processors
- Node {4}
- written at {5}

What diagnose says:
{6}

Attach: pictures of errors, lines of the log, settings without passwords.`]: `Тема: [ПРОБЛЕМА] {0}

Что случилось:
1. Что произошло?
2. Когда это произошло?
3. Как это повторить?
4. Что должно было произойти?
5. Что произошло вместо этого?

Система:
- {1} {2}, процессоров: {3}
- Node {4}
- написано {5}

Что говорит diagnose:
{6}

Приложите: снимки ошибок, строки журнала, настройки без паролей.`
}
