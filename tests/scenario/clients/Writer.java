// A writer (see README.md) on java.net.Socket alone: java Writer.java HOST PORT.
import java.io.*;
import java.net.Socket;
import java.nio.charset.StandardCharsets;

public class Writer {
    public static void main(String[] args) throws Exception {
        long writes = 0, errors = 0, last = 0, gap = 0;
        String name = "", lastName = "";
        Socket socket = null;
        BufferedReader in = null;
        while (!name.equals("stop")) {
            try {
                if (socket == null) {
                    socket = new Socket(args[0], Integer.parseInt(args[1]));
                    in = new BufferedReader(new InputStreamReader(socket.getInputStream()));
                }
                String text = "SET counter " + (writes + 1) + "\r\nGET name\r\n";
                socket.getOutputStream().write(text.getBytes(StandardCharsets.US_ASCII));
                String ok = in.readLine(), length = in.readLine(), value = in.readLine();
                if (ok == null || length == null || value == null)
                    throw new EOFException("closed by the server");
                name = value;
            } catch (IOException error) {
                System.out.println("error " + error.getMessage());
                errors++;
                if (socket != null)
                    socket.close();
                socket = null;
                continue;
            }
            long now = System.nanoTime();
            if (last != 0)
                gap = Math.max(gap, now - last);
            last = now;
            writes++;
            if (!name.equals(lastName))
                System.out.println("server " + name);
            lastName = name;
        }
        System.out.printf("writes %d%nerrors %d%ngap_us %d%n", writes, errors, gap / 1000);
    }
}
