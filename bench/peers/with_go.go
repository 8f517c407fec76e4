// The works in Go, on one thread: GOMAXPROCS=1 with_go WORK [ARGUMENTS]
package main

import (
	"fmt"
	"math/rand"
	"net"
	"os"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"time"
)

func cpuNs() float64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	return float64(usage.Utime.Nano() + usage.Stime.Nano())
}

// inParallel runs that many goroutines of body and waits for them.
func inParallel(tasks int, body func()) {
	var group sync.WaitGroup
	group.Add(tasks)
	for i := 0; i < tasks; i++ {
		go func() {
			defer group.Done()
			body()
		}()
	}
	group.Wait()
}

func switchTasks(tasks, switches int) int {
	rounds := switches / tasks
	inParallel(tasks, func() {
		for i := 0; i < rounds; i++ {
			runtime.Gosched()
		}
	})
	return rounds * tasks
}

func spawn(count, _ int) int {
	results := make([]chan int, 1000)
	for batch := 0; batch < count/1000; batch++ {
		for i := range results {
			results[i] = make(chan int, 1)
			go func(x int, result chan<- int) { result <- x }(i, results[i])
		}
		for i, result := range results {
			if <-result != i {
				panic("wrong result")
			}
		}
	}
	return count
}

func timers(tasks, sleeps int) int {
	inParallel(tasks, func() {
		for i := 0; i < sleeps; i++ {
			time.Sleep(time.Duration(rand.Float64() * 1e7))
		}
	})
	return tasks * sleeps
}

func queue(capacity, items int) int {
	channel := make(chan int, capacity)
	go func() {
		for i := 0; i < items; i++ {
			channel <- i
		}
	}()
	total := 0
	for i := 0; i < items; i++ {
		total += <-channel
	}
	if total != items*(items-1)/2 {
		panic("wrong sum")
	}
	return items
}

func lock(tasks, acquires int) int {
	var mutex sync.Mutex
	rounds, acquired := acquires/tasks, 0
	inParallel(tasks, func() {
		for i := 0; i < rounds; i++ {
			mutex.Lock()
			runtime.Gosched()
			acquired++
			mutex.Unlock()
		}
	})
	if acquired != rounds*tasks {
		panic("wrong count")
	}
	return acquired
}

func settledBytes() int {
	var pages, ignored int
	runtime.GC()
	statm, err := os.Open("/proc/self/statm")
	if err != nil {
		panic(err)
	}
	defer statm.Close()
	fmt.Fscan(statm, &ignored, &pages)
	return pages * os.Getpagesize()
}

func parked(tasks int) {
	before := settledBytes()
	for i := 0; i < tasks; i++ {
		go func() { time.Sleep(time.Hour) }()
	}
	runtime.Gosched()
	fmt.Println("bytes", (settledBytes()-before)/tasks)
}

func serve(connection net.Conn) {
	defer connection.Close()
	buffer := make([]byte, 65536)
	for {
		n, err := connection.Read(buffer)
		if err != nil {
			return
		}
		if _, err = connection.Write(buffer[:n]); err != nil {
			return
		}
	}
}

func echo() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println("port", listener.Addr().(*net.TCPAddr).Port)
	for {
		connection, err := listener.Accept()
		if err != nil {
			panic(err)
		}
		go serve(connection)
	}
}

func measure(work func(int, int) int, a, b int) {
	began := cpuNs()
	count := work(a, b)
	fmt.Printf("ns %.1f\n", (cpuNs()-began)/float64(count))
}

func argument(index int) int {
	if index >= len(os.Args) {
		return 0
	}
	value, err := strconv.Atoi(os.Args[index])
	if err != nil {
		panic(err)
	}
	return value
}

func main() {
	works := map[string]func(int, int) int{
		"switch": switchTasks, "spawn": spawn, "timers": timers, "queue": queue, "lock": lock,
	}
	switch name := os.Args[1]; name {
	case "parked":
		parked(argument(2))
	case "echo":
		echo()
	default:
		measure(works[name], argument(2), argument(3))
	}
}
