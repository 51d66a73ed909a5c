// Feeds a device the words of a stimulus file and writes what it gives, one hexadecimal word a line.
//
// Macros:   DEVICE its module, DEVICE_PARAMETERS (.N(8), ...), STIMULUS_BITS, EXPECTED_BITS, COUNT (vectors),
//           WITH_MUTANTS when the netlist has the input `mutant`.
// Plusargs: +stimulus=FILE; +output=FILE for the results; +expected=FILE to stop at the first one that differs;
//           +mutant=K; +patience=CYCLES without a result, after which the device hangs.
//
// Vectors say nothing of handshakes, so the bench stalls both sides now and then, with X on idle inputs, or what is not
// the last word in Verilator, which has none. At times the sender waits until the device is ready, and the receiver
// until it has a result; a device that waits for them hangs. Vectors say nothing of resets either: the bench resets the
// device once more amid its first vectors, and starts again; results before that are compared, and not written.
`ifdef VERILATOR
`define IDLE ~in_data
`else
`define IDLE 'x
`endif

module bench;
  logic clk = 1'b0, rst = 1'b1, in_valid = 1'b0, out_ready = 1'b0;
  logic in_ready, out_valid;
  logic [`STIMULUS_BITS-1:0] in_data, stimulus[0:`COUNT-1];
  logic [`EXPECTED_BITS-1:0] out_data, expected[0:`COUNT-1];
  string name;
  integer output_file = 0, compares = 0, sent = 0, received = 0, idle = 0, patience = 10000;
  logic [15:0] mutant = 16'd0;
  logic counts = 1'b0; // after the second reset
  logic [7:0] stall = 8'h5a; // a shift register with feedback: when to stall
  logic waits = 1'b0; // the next word comes when the device is ready, which has seen idle inputs until then
  logic expects = 1'b0; // the receiver is ready only after it has seen the next result

`ifdef WITH_MUTANTS
  `DEVICE device (.*);
`else
  `DEVICE #(`DEVICE_PARAMETERS) device (.*);
`endif

  wire expects_next = out_valid && out_ready ? stall[7:6] == 2'b00 : expects;
  wire is_next = sent < `COUNT && stall[3:2] != 2'b00 && !(waits && (in_valid || !in_ready));

  always #1 clk = !clk;

  initial begin
    if ($value$plusargs("stimulus=%s", name)) $readmemh(name, stimulus);
    if ($value$plusargs("output=%s", name)) output_file = $fopen(name, "w");
    if ($value$plusargs("expected=%s", name)) begin
      $readmemh(name, expected);
      compares = 1;
    end
    if ($value$plusargs("mutant=%d", mutant)) ;
    if ($value$plusargs("patience=%d", patience)) ;
    #6 rst = 1'b0;
    #34 rst = 1'b1;
    #6 rst = 1'b0;
    counts = 1'b1;
  end

  always @(posedge clk)
    if (rst) begin
      in_valid <= 1'b0;
      out_ready <= 1'b0;
      sent <= 0;
      received <= 0;
      idle <= 0;
      waits <= 1'b0;
      expects <= 1'b0;
    end else begin
      stall <= {stall[6:0], stall[7] ^ stall[5] ^ stall[4] ^ stall[3]};
      idle <= idle + 1;
      out_ready <= stall[1:0] != 2'b00 && (!expects_next || (out_valid && !out_ready));
      expects <= expects_next;
      if (!in_valid || in_ready) begin
        in_valid <= is_next;
        in_data <= is_next ? stimulus[sent] : `IDLE;
        if (is_next) begin
          sent <= sent + 1;
          waits <= stall[5:4] == 2'b00;
        end
      end
      if (out_valid && out_ready) begin
        idle <= 0;
        received <= received + 1;
        if (output_file != 0 && counts) $fdisplay(output_file, "%h", out_data);
        if (compares != 0 && out_data !== expected[received]) begin
          $display("DIFFERS %0d", received);
          $finish;
        end else if (counts && received == `COUNT - 1) begin
          $display("DONE %0d", `COUNT);
          $finish;
        end
      end
      if (idle > patience || out_valid === 1'bx) begin
        $display("HANGS %0d", received);
        $finish;
      end
    end
endmodule
