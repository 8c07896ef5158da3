// A Go program without libc: connect HOST:PORT, prints what GET name answers.
package main

import (
	"bufio"
	"fmt"
	"net"
	"os"
)

func main() {
	connection, err := net.Dial("tcp", os.Args[1])
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Fprint(connection, "GET name\r\n")
	reader := bufio.NewReader(connection)
	reader.ReadString('\n')
	name, _ := reader.ReadString('\n')
	fmt.Print(name)
}
