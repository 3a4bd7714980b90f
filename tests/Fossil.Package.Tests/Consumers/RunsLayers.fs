open Fossil
open Layers
open TorchSharp

let model = new Block()
let x = torch.randn(2L, 8L)
let outputs () =
    [ "the model", model.forward(x)
      "call", model.Down.call(model.Up.call(x))
      "call in a Sequential", torch.nn.Sequential(model.Up, model.Down).call(x)
      "forward", model.Down.forward(model.Up.forward(x)) ]

let before = outputs ()
let adapted = model.AttachAdapters()
for struct (_, parameter) in adapted.TrainableParameters() do
    torch.nn.init.normal_(parameter) |> ignore
for (name, first), (_, now) in List.zip before (outputs ()) do
    System.Console.WriteLine($"{name} is adapted: {not (first.allclose(now))}")
