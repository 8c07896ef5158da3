// A writer (see README.md) on Node's net module alone.
'use strict';
const net = require('net');
const [host, port] = [process.argv[2], Number(process.argv[3])];
let writes = 0, errors = 0, last = 0n, gap = 0n, lastName = '';

function open() {
    let text = '', failed = false;
    const socket = net.connect({ host, port });
    const fail = (why) => {
        if (failed) return;
        failed = true;
        console.log('error ' + why);
        errors++;
        socket.destroy();
        setImmediate(open);
    };
    const ask = () => socket.write(`SET counter ${writes + 1}\r\nGET name\r\n`);
    socket.setNoDelay(true);
    socket.on('connect', ask);
    socket.on('error', (error) => fail(error.code));
    socket.on('close', () => fail('closed'));
    socket.on('data', (data) => {
        text += data;
        const reply = /^\+OK\r\n\$\d+\r\n(.*)\r\n$/.exec(text);
        if (!reply) return;
        text = '';
        const now = process.hrtime.bigint();
        if (last && now - last > gap) gap = now - last;
        last = now;
        writes++;
        if (reply[1] !== lastName) console.log('server ' + (lastName = reply[1]));
        if (lastName !== 'stop') return ask();
        failed = true;
        socket.destroy();
        console.log(`writes ${writes}\nerrors ${errors}\ngap_us ${gap / 1000n}`);
    });
}
open();
